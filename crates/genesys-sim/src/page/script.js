// Fetches what moves again; presses buttons without leaving the page. Without it, forms and links do the same.
'use strict';
(() => {
  const EVERY = 1000;
  const now = document.getElementById('now');
  const stale = document.getElementById('stale');
  const said = document.getElementById('said');
  let heard = Date.now();
  let asking = false;

  // Choices of channels follow who is connected; a choice that was made stays.
  const renew = () => {
    const names = document.getElementById('channels').innerHTML;
    for (const group of document.querySelectorAll('optgroup.channels')) {
      const select = group.closest('select');
      if (select === document.activeElement || group.innerHTML === names) continue;
      const chosen = select.value;
      group.innerHTML = names;
      select.value = chosen;
      if (select.selectedIndex < 0) select.selectedIndex = 0;
    }
  };

  const refresh = async () => {
    if (asking) return;
    asking = true;
    try {
      const answer = await fetch('/sim/page/now', { cache: 'no-store', signal: AbortSignal.timeout(4000) });
      if (!answer.ok) throw new Error(String(answer.status));
      now.innerHTML = await answer.text();
      document.title = `${document.getElementById('title').textContent} · genesys-sim`;
      renew();
      heard = Date.now();
      stale.hidden = true;
    } catch {
      const seconds = Math.round((Date.now() - heard) / 1000);
      stale.textContent = `The simulator does not answer: what follows is ${seconds} s old.`;
      stale.hidden = false;
    } finally {
      asking = false;
    }
  };
  setInterval(() => { if (!document.hidden) refresh(); }, EVERY);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh(); });

  document.getElementById('faults').addEventListener('submit', async (event) => {
    event.preventDefault();
    const form = event.target;
    said.className = '';
    try {
      const answer = await fetch('/sim/press', {
        method: 'POST',
        headers: { Accept: 'application/json' },
        body: new URLSearchParams(new FormData(form)),
      });
      const body = await answer.json();
      said.className = answer.ok ? 'good' : 'bad';
      said.textContent = body.error ?? `${body.said} In a timeline: ${JSON.stringify(body.fault)}`;
    } catch {
      said.className = 'bad';
      said.textContent = 'The simulator does not answer.';
    }
    refresh();
  });
})();
