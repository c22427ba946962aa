// Shows the live page in the tab "Deployment" of Locust's page, whose own tabs hold nothing but tables.
"use strict";

const KEY = "live";
let frame = null;

// Locust draws the content of a tab below its row of tabs; there the page of the deployment is added.
function place() {
  const tabs = document.querySelector('[role="tablist"]');
  const chosen = new URLSearchParams(location.search).get("tab") === KEY;
  if (!tabs || !chosen) {
    if (frame) frame.remove();
    frame = null;
    return;
  }
  if (!frame) {
    frame = document.createElement("iframe");
    frame.src = "live";
    frame.title = "Deployment, live";
    frame.style.cssText = "border: 0; width: 100%; min-height: 75vh; display: block;";
    frame.addEventListener("load", fit);
  }
  const below = tabs.closest(".MuiTabs-root")?.parentElement?.parentElement || document.body;
  if (frame.parentElement !== below) below.append(frame);
  fit();
}

// As high as its content, and light or dark as Locust's page is, which has a switch of its own.
function fit() {
  const inner = frame?.contentDocument;
  if (!inner?.body) return;
  const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/[\d.]+/g).map(Number);
  inner.documentElement.dataset.theme = 0.3 * red + 0.6 * green + 0.1 * blue < 128 ? "dark" : "light";
  const height = `${Math.max(400, inner.body.scrollHeight + 20)}px`;
  if (frame.style.height !== height) frame.style.height = height;
}

setInterval(place, 500);
place();
