// Fetches the answer again; keeps what is open and where the keyboard is. Orders go with the token typed in.
'use strict';
(() => {
  const EVERY = 5000;
  const now = document.getElementById('now');
  const stale = document.getElementById('stale');
  let heard = Date.now();

  const refresh = async () => {
    try {
      const answer = await fetch('/page/main', { cache: 'no-store', signal: AbortSignal.timeout(4000) });
      if (!answer.ok) throw new Error(String(answer.status));
      const markup = await answer.text();
      const open = [...now.querySelectorAll('details[open]')].map((one) => one.id);
      const at = document.activeElement;
      const within = at && now.contains(at) ? at.closest('[id]') : null;
      const focused = within && at.tagName === 'SUMMARY' ? within.id : null;
      now.innerHTML = markup;
      open.forEach((id) => { const one = document.getElementById(id); if (one) one.open = true; });
      if (focused) document.getElementById(focused)?.querySelector('summary')?.focus();
      document.title = `${document.getElementById('title').textContent} · trunkline`;
      heard = Date.now();
      stale.hidden = true;
    } catch {
      const seconds = Math.round((Date.now() - heard) / 1000);
      stale.textContent = `trunkline does not answer: what follows is ${seconds} s old.`;
      stale.hidden = false;
    }
  };
  setInterval(() => { if (!document.hidden) refresh(); }, EVERY);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh(); });

  const form = document.getElementById('rotate');
  form?.addEventListener('submit', async (event) => {
    event.preventDefault();
    const said = document.getElementById('said');
    const { channel, confirm, token } = Object.fromEntries(new FormData(form));
    said.textContent = '…';
    try {
      const answer = await fetch('/api/v1/actions/rotate', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
        body: JSON.stringify({ channel, confirm }),
      });
      const body = await answer.json();
      said.textContent = body.error ?? body.said;
      form.elements.confirm.value = '';
    } catch {
      said.textContent = 'trunkline does not answer';
    }
  });
})();
