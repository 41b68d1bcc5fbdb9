// Proves that markup escapes whatever is put into it, and that the lines of a template add nothing to it.

import { fromServer, joined, markup } from "../../dashboard/components/shared/markup.js";
import { equal } from "./equal.js";

const EVIL = `<img src=x onerror="alert('1')">&`;
const SAFE = "&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;";

Deno.test("text is escaped wherever it is put", () => {
  equal(markup`<b title="${EVIL}">${EVIL}</b>`.text, `<b title="${SAFE}">${SAFE}</b>`);
  equal(markup`${[EVIL, 1]}`.text, `${SAFE}1`);
  equal(joined([EVIL, markup`<b></b>`], " & ").text, `${SAFE} &amp; <b></b>`);
});

Deno.test("markup within markup stays as it is", () => {
  const inner = markup`<i>${EVIL}</i>`;
  equal(markup`<b>${inner}${[inner, inner]}</b>`.text, `<b>${`<i>${SAFE}</i>`.repeat(3)}</b>`);
  equal(markup`${fromServer("<u>1</u>")}`.text, "<u>1</u>");
});

Deno.test("what is not there is nothing, and zero is a number", () => {
  equal(markup`<b>${null}${undefined}${false}${""}${0}</b>`.text, "<b>0</b>");
});

Deno.test("a line's end beside a tag or between two values is nothing", () => {
  const text = markup`
    <p class="a"
      title="b">
      <b>${1}</b>
      ${2}
      ${3}
    </p>`;
  equal(text.text, '<p class="a" title="b"><b>1</b>23</p>');
});

Deno.test("a line's end within a sentence is one space, and a space before a tag stays", () => {
  equal(
    markup`<p>
      one
      two ${3}
      four <b>5</b> <i>6</i>　
    </p>`.text,
    "<p>one two 3 four <b>5</b> <i>6</i>　</p>",
  );
});

Deno.test("an element's own text keeps its lines", () => {
  equal(markup`<textarea>${"a\n  <b>\n"}</textarea>`.text, "<textarea>a\n  &lt;b&gt;\n</textarea>");
});
