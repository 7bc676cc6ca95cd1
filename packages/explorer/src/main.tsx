import { render } from 'solid-js/web';
import { App } from './views/app.tsx';
import './style/base.css';
import './style/chrome.css';
import './style/list.css';
import './style/panels.css';
import './style/feature.css';
import './style/text.css';
import './style/map.css';
import './style/collection.css';

render(() => <App />, document.getElementById('page')!);
