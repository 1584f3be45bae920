import { Outlet } from '@tanstack/react-router';
import { Requires } from '../../app/Requires';
import { useTexts } from '../../texts';

export default function ConversationsView() {
  const { conversations } = useTexts();
  return (
    <Requires scope="read">
      <h1>{conversations.title}</h1>
      <Outlet />
    </Requires>
  );
}

/** One conversation, beside the list. */
export function ConversationPane() {
  return null;
}
