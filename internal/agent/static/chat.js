// Shows what happens in a turn while it goes on. Everything it inserts was
// rendered by this page's own server. Without it the page has to be loaded
// again to see more.
"use strict";

const log = document.getElementById("log");
const status = document.getElementById("status");

if (log && status && status.dataset.events) {
  const source = new EventSource(status.dataset.events);
  const nearEnd = () => window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 160;

  source.addEventListener("entry", (event) => {
    const { id, html } = JSON.parse(event.data);
    const follow = nearEnd();
    const old = document.getElementById(id);
    if (old && old.contains(document.activeElement) && old.querySelector("form") && html.includes("<form")) return;
    if (old) old.outerHTML = html;
    else log.insertAdjacentHTML("beforeend", html);
    if (follow) document.getElementById("end").scrollIntoView({ block: "end" });
  });

  source.addEventListener("over", () => {
    source.close();
    document.getElementById("going").hidden = true;
    document.getElementById("writing").hidden = false;
    document.getElementById("text").focus({ preventScroll: true });
  });
}
