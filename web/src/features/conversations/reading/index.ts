export { ConversationPane } from './Pane';
