// Asks for what the first view shows while its scripts are still on their way. The page takes the
// answers from here where they are for what it asks; without this file it asks by itself.
(() => {
  const SESSION = '/v1/browser-session';
  // As `fetchSessions` asks for the list without filters.
  const LIST = '/v1/sessions?include=first_user_message%2Cflags&limit=50';
  // Without the service's mark nobody is signed in.
  if (!/(^|; )verbatim_signed_in=/.test(document.cookie)) return;
  const answers = new Map();
  window.earlyAnswers = answers;
  const ask = (url) => {
    const answer = fetch(url, { credentials: 'same-origin' });
    // Whoever takes it sees the failure.
    answer.catch(() => undefined);
    answers.set(url, answer);
    return answer;
  };
  const showsList = /^\/(conversations\/?)?$/.test(location.pathname) && location.search === '';
  const session = ask(SESSION);
  if (!showsList) return;
  session
    .then(async (answer) => {
      if (!answer.ok) return;
      const { scopes } = await answer.clone().json();
      if (scopes.includes('read') || scopes.includes('admin')) ask(LIST);
    })
    .catch(() => undefined);
})();
