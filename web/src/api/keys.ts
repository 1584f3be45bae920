/** Keys of the query cache, so that what a change makes outdated can be found. */
export const queryKeys = {
  session: ['session'] as const,
  agents: ['agents'] as const,
  sessions: (filters: unknown) => ['sessions', filters] as const,
  conversation: (id: string) => ['conversation', id] as const,
  search: (filters: unknown) => ['search', filters] as const,
  views: ['views'] as const,
};
