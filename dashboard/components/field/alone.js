// The page that the phone keeps: without a line it shows what was written here, and lets more be written.

import { one } from "../shared/page.js";
import { begun } from "./field.js";
import { Outbox, SIGNED_IN } from "./outbox.js";

async function alone() {
  const shell = document.cookie.split("; ").includes(`${SIGNED_IN}=1`) ? await Outbox.shell() : null;
  if (shell) begun(one(document, ".gw-host"), { ...shell, alone: true });
  else one(document, ".gw-nobody").hidden = false;
}

alone();
