// Fetches the part of the page that changes. Without scripts the page is as it was when loaded.
(() => {
  const live = document.getElementById("live");
  const every = live ? Number(live.dataset.every) : 0;
  if (!every) return;
  const refresh = async () => {
    if (document.hidden || live.contains(document.activeElement)) return;
    try {
      const answer = await fetch(live.dataset.part, { redirect: "error" });
      if (answer.ok) live.innerHTML = await answer.text();
      live.classList.toggle("away", !answer.ok);
    } catch {
      live.classList.add("away");
    }
  };
  setInterval(refresh, every);
})();
