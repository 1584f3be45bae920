import { useTexts } from '../../texts';

export default function PrintView() {
  const { conversations } = useTexts();
  return <h1>{conversations.title}</h1>;
}
