// Under `havn dev` only: load the page again when a file of the app has changed and the new version is in place.
const here = document.currentScript;
let version = null;

function listen() {
  const events = new EventSource(here.dataset.events);
  events.addEventListener("version", (event) => {
    if (version !== null && version !== event.data) location.reload();
    version = event.data;
  });
}

listen();
