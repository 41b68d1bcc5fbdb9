// Lint rules of the house: no text stands on a page unescaped. What is put there is Markup, and only `markup` makes it.

const SINKS = ["innerHTML", "outerHTML", "srcdoc"];
const CALLS = ["insertAdjacentHTML", "setHTMLUnsafe", "createContextualFragment"];
const OF_DOCUMENT = ["write", "writeln"];
const TAG = /<\/?[a-zA-Z!]/;
const ROOM = "/dashboard/components/"; // what runs in the browser
const HOME = "/shared/markup.js"; // where markup is made and put
const TRUSTED = "/panel/panel.js"; // what alone shows markup that the server wrote

/** @param {string} filename @returns {boolean} whether the rules are for a file */
const isOurs = (filename) => filename.includes(ROOM) && !filename.endsWith(HOME);

/** @param {Deno.lint.Node | null} key the name of a property */
function nameOf(key) {
  if (key?.type === "Identifier") return key.name;
  return key?.type === "Literal" ? String(key.value) : "";
}

/** @param {Deno.lint.Node} node @returns {boolean} whether a template is the template of `markup` */
function isMarkup(node) {
  const { parent } = /** @type {{ parent?: Deno.lint.Node }} */ (node);
  return parent?.type === "TaggedTemplateExpression" && parent.tag.type === "Identifier" &&
    parent.tag.name === "markup";
}

/** @type {Deno.lint.Plugin} */
const plugin = {
  name: "house",
  rules: {
    "put-markup": {
      create(context) {
        if (!isOurs(context.filename)) return {};
        const message = "Text is put on a page by put(element, markup`…`) alone, which escapes it.";
        return {
          AssignmentExpression(node) {
            const { left } = node;
            if (left.type === "MemberExpression" && SINKS.includes(nameOf(left.property))) {
              context.report({ node, message });
            }
          },
          Property(node) {
            if (node.parent.type === "ObjectExpression" && SINKS.includes(nameOf(node.key))) {
              context.report({ node, message });
            }
          },
          CallExpression(node) {
            const { callee } = node;
            if (callee.type !== "MemberExpression") return;
            const name = nameOf(callee.property);
            const written = OF_DOCUMENT.includes(name) && nameOf(callee.object) === "document";
            if (CALLS.includes(name) || written) context.report({ node, message });
          },
        };
      },
    },
    "tagged-markup": {
      create(context) {
        if (!isOurs(context.filename)) return {};
        const message = "A text with a tag in it is markup`…`: what is put into it is escaped then.";
        return {
          TemplateLiteral(node) {
            if (!isMarkup(node) && node.quasis.some((part) => TAG.test(part.raw))) {
              context.report({ node, message });
            }
          },
          Literal(node) {
            if (typeof node.value === "string" && TAG.test(node.value)) context.report({ node, message });
          },
        };
      },
    },
    "made-markup": {
      create(context) {
        if (!isOurs(context.filename)) return {};
        return {
          NewExpression(node) {
            if (nameOf(node.callee) === "Markup") {
              context.report({ node, message: "Markup is made by markup`…`, never from a text." });
            }
          },
          ImportSpecifier(node) {
            if (nameOf(node.imported) === "fromServer" && !context.filename.endsWith(TRUSTED)) {
              context.report({ node, message: "Only the panel shows markup that the server wrote." });
            }
          },
        };
      },
    },
  },
};

export default plugin;
