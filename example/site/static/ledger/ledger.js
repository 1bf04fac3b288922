"use strict";

// Without this script the form uploads all files in one request. With it each has a request and a bar of its own,
// and files may be dropped on the form.
const form = document.querySelector("form.drop");

function upload(file, list) {
  const item = list.appendChild(document.createElement("li"));
  const label = item.appendChild(document.createElement("span"));
  const bar = item.appendChild(document.createElement("progress"));
  label.textContent = file.name;
  bar.setAttribute("aria-label", file.name);
  bar.max = 1;
  bar.value = 0;
  const tell = (text) => { label.textContent = `${file.name}: ${text}`; };
  if (file.size > Number(form.dataset.max)) {
    tell("too large");
    return Promise.resolve(false);
  }
  const body = new FormData();
  body.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
  body.append("data", file);
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "text/plain");
    request.upload.onprogress = (event) => {
      bar.value = event.loaded / event.total;
      tell(event.loaded < event.total ? `${Math.floor(100 * bar.value)} %` : "being stored");
    };
    request.onload = () => {
      const kept = request.status === 201;
      const isTold = [413, 422].includes(request.status);
      tell(kept ? "stored" : isTold ? request.responseText : `refused (${request.status})`);
      resolve(kept);
    };
    request.onerror = () => {
      tell("the connection was lost; nothing of it was kept");
      resolve(false);
    };
    request.send(body);
  });
}

async function uploadAll(files) {
  const list = form.querySelector(".progress");
  const announce = form.querySelector(".announce");
  const results = [];
  list.replaceChildren();
  form.querySelector("button").disabled = true;
  announce.textContent = `Uploading ${files.length} ${files.length === 1 ? "file" : "files"}`;
  for (const file of files) results.push(await upload(file, list));
  form.querySelector("button").disabled = false;
  const stored = results.filter(Boolean).length;
  announce.textContent = `${stored} of ${files.length} stored`;
  if (stored === files.length) location.reload();
}

if (form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    uploadAll([...form.elements.data.files]);
  });
  for (const kind of ["dragenter", "dragover"]) form.addEventListener(kind, (event) => {
    event.preventDefault();
    form.classList.add("over");
  });
  for (const kind of ["dragleave", "drop"]) form.addEventListener(kind, () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) uploadAll([...event.dataTransfer.files]);
  });
}
