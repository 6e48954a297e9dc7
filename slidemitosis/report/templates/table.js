"use strict";
(() => {
  const table = document.getElementById("table"), body = table.tBodies[0];
  const rows = [...body.rows], find = document.getElementById("find"), show = document.getElementById("show");
  const shown = document.getElementById("shown");
  const numbers = new Set(["figures", "rate", "status"]);

  const compare = (key) => (a, b) => {
    const x = a.dataset[key], y = b.dataset[key];
    if (x === "" || y === "") return (x === "") - (y === "") || 0;  // what is not known comes last
    return numbers.has(key) ? x - y : x.localeCompare(y, undefined, { numeric: true });
  };

  function sort(button) {
    const heading = button.closest("th"), key = button.dataset.sort;
    const down = heading.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.querySelectorAll("th")) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const known = rows.filter((row) => row.dataset[key] !== "").sort(compare(key));
    if (down) known.reverse();
    body.append(...known, ...rows.filter((row) => row.dataset[key] === ""));
  }

  function filter() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const fits = words.every((word) => text.includes(word)) && (!show.value || row.dataset.is.split(" ").includes(show.value));
      row.hidden = !fits;
      left += fits;
    }
    shown.textContent = left === rows.length ? "" : `${left} of ${rows.length}`;
  }

  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-sort]");
    if (button) sort(button);
  });
  find.addEventListener("input", filter);
  show.addEventListener("change", filter);
  find.form.addEventListener("submit", (event) => event.preventDefault());
  filter();  // a page that is gone back to keeps what was typed
})();
