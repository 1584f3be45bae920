// Requests what the first view shows while its scripts are still on their way. The page takes the
// answers from here where they are for what it requests; without this file it sends them by itself.
(() => {
  const SESSION = '/v1/browser-session';
  // As `fetchSessions` requests the list without filters.
  const LIST = '/v1/sessions?include=first_user_message%2Cflags&limit=50';
  // The service's mark: without one nobody is signed in; `read` is a key that may see conversations.
  const mark = /(?:^|; )verbatim_signed_in=([^;]*)/.exec(document.cookie)?.[1];
  if (mark === undefined) return;
  const answers = new Map();
  window.earlyAnswers = answers;
  const request = (url) => {
    // Read to its end, so that the page does not wait for that.
    const answer = fetch(url, { credentials: 'same-origin' }).then(
      async (response) => new Response(await response.arrayBuffer(), response),
    );
    // Whoever takes it handles the failure.
    answer.catch(() => undefined);
    answers.set(url, answer);
  };
  request(SESSION);
  const showsList = /^\/(conversations\/?)?$/.test(location.pathname) && location.search === '';
  if (showsList && mark === 'read') request(LIST);
  // The first use of each loads its data, which takes long on a phone; nothing else is to do now.
  setTimeout(() => {
    const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
    for (const language of [navigator.language, 'sv-SE']) {
      new Intl.DateTimeFormat(language, { dateStyle: 'short', timeZone }).format();
    }
    new Intl.NumberFormat(navigator.language).format(1);
  });
})();
