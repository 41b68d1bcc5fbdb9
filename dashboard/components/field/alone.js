// The page that the phone keeps: without a line it shows what was written here, and lets more be written.

async function alone() {
  const host = document.querySelector(".gw-host");
  const shell = document.cookie.split("; ").includes(`${SIGNED_IN}=1`) ? await Outbox.shell() : null;
  if (shell) new Field(host, { ...shell, alone: true });
  else document.querySelector(".gw-nobody").hidden = false;
}

alone();
