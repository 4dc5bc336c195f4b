// Opens each dashboard in a browser, checks its panels and takes its picture.
//
//   node shoot.mjs PROMETHEUS_URL DASHBOARDS_FOLDER PICTURES_FOLDER MINUTES [REPLICA_URL]
//
// Prints one JSON line for each dashboard: {"dashboard", "panels": number, "empty": [titles], "errors": [texts]}.
// Exits with 1 where a query failed, the page had an error, or it asked for anything but this program.
import { text } from 'node:stream/consumers';
import { createServer } from 'node:http';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const [prometheus, dashboards, pictures, minutes, replica] = process.argv.slice(2);
const here = path.dirname(fileURLToPath(import.meta.url));
const WIDTH = 1440;
const READY_MS = 60_000;

// What Grafana's server would serve, by the names that its style sheet asks for.
const FONTS = {
  'Inter-Regular.woff2': 'inter-latin-400-normal.woff2',
  'Inter-Medium.woff2': 'inter-latin-500-normal.woff2',
};

const PAGE = `<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,"><link rel="stylesheet" href="/page.css"></head>
<body style="margin:0"><div id="root"></div><script type="module" src="/page.js"></script></body></html>`;

async function answer(request) {
  const { pathname, search } = new URL(request.url, 'http://localhost');
  if (pathname.startsWith('/api/v1/')) {
    const found = await fetch(prometheus + pathname + search);
    return [found.status, 'application/json', await found.text()];
  }
  if (pathname === '/replica') {
    if (!replica) {
      return [204, 'text/plain', null];
    }
    const found = await fetch(`${replica}/query`, { method: 'POST', body: await text(request) });
    return [found.status, 'application/json', await found.text()];
  }
  if (pathname.startsWith('/dashboards/')) {
    return [200, 'application/json', await readFile(path.join(dashboards, path.basename(pathname)))];
  }
  if (pathname === '/page.js' || pathname === '/page.css') {
    const type = pathname.endsWith('.js') ? 'text/javascript' : 'text/css';
    return [200, type, await readFile(path.join(here, 'dist', path.basename(pathname)))];
  }
  if (pathname.startsWith('/public/fonts/inter/')) {
    const font = FONTS[path.basename(pathname)];
    return [200, 'font/woff2', await readFile(path.join(here, 'node_modules/@fontsource/inter/files', font))];
  }
  return pathname === '/' ? [200, 'text/html', PAGE] : [404, 'text/plain', ''];
}

const server = createServer(async (request, response) => {
  const [status, type, body] = await answer(request).catch((error) => [500, 'text/plain', String(error)]);
  response.writeHead(status, { 'content-type': type }).end(body);
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
await mkdir(pictures, { recursive: true });

let failed = false;
for (const file of (await readdir(dashboards)).filter((name) => name.endsWith('.json')).sort()) {
  const page = await browser.newPage({ viewport: { width: WIDTH, height: 900 } });
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') {
      errors.push(`${message.text()} (${message.location().url})`);
    }
  });
  page.on('request', (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol.startsWith('http') && hostname !== '127.0.0.1') {
      errors.push(`asked ${request.url()}`);
    }
  });
  await page.goto(`http://127.0.0.1:${server.address().port}/?dashboard=${file}&minutes=${minutes}`);
  const settled = () => {
    const panels = [...document.querySelectorAll('[data-panel]')];
    return panels.length > 0 && panels.every((panel) => panel.dataset.state !== 'loading');
  };
  await page.waitForFunction(settled, undefined, { timeout: READY_MS }).catch((error) => errors.push(String(error)));
  const panels = await page.$$eval('[data-panel]', (all) => all.map((one) => ({ ...one.dataset })));
  const empty = panels.filter(({ state }) => state === 'empty').map(({ panel }) => panel);
  errors.push(...panels.filter(({ state }) => state === 'error').map(({ panel, error }) => `${panel}: ${error}`));
  const name = file.replace(/\.json$/, '');
  await page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true, animations: 'disabled' });
  failed ||= errors.length > 0;
  console.log(JSON.stringify({ dashboard: name, panels: panels.length, empty, errors }));
  await page.close();
}
await browser.close();
server.close();
process.exit(failed ? 1 : 0);
