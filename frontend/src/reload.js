// Under `havn dev` only: load the page again when the app has been read anew, and say what is wrong when it could not be.
const events = new EventSource(document.currentScript.dataset.events);
let lost = false;

events.addEventListener("reload", () => location.reload());
events.addEventListener("open", () => lost && location.reload());
events.addEventListener("error", () => (lost = true));
events.addEventListener("problem", (event) => {
  const box = document.getElementById("hv-dev") ?? document.body.appendChild(document.createElement("div"));
  box.id = "hv-dev";
  box.className = "hv-dev";
  box.setAttribute("role", "alert");
  box.textContent = JSON.parse(event.data).problems.join("\n");
});
