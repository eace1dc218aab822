/** Starts the screen: styles, stores, the connection, the one key handler. */
import 'uplot/dist/uPlot.min.css';
import '@xterm/xterm/css/xterm.css';
import 'dockview-vue/dist/styles/dockview.css';
import './design/tokens.css';
import './design/base.css';
import './design/dock.css';
import { createPinia } from 'pinia';
import { createApp } from 'vue';
import App from './App.vue';
import { connect } from './protocol-client.ts';

const app = createApp(App);
app.use(createPinia());
app.mount('#app');
connect();
