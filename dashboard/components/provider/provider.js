// What a session is handed over by: a form's body to our own server, so that it is never in an address.

/** @import { Given } from "../shared/page.js" */

/** @param {Given<Record<string, string>>} given */
export default function ({ data }) {
  const form = document.createElement("form");
  form.method = "post";
  form.action = "/login/session";
  for (const [name, value] of Object.entries(data)) {
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name, value });
    form.append(field);
  }
  document.body.append(form);
  form.submit();
}
