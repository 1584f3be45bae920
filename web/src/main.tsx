import { createRoot } from 'react-dom/client';
import { configureClient } from './api/client';
import { App } from './app/App';
import './tokens.css';
import './base.css';

configureClient();
const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no element #root');
createRoot(root).render(<App />);
