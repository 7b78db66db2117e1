// Makes whatever response a request describes in its header fields, as tests/fixture/make.rs does,
// behind the middleware that Express users have. Logs each request in the format of MORGAN.
'use strict';

const compression = require('compression');
const express = require('express');
const morgan = require('morgan');

const app = express();
app.disable('x-powered-by');
app.use(morgan(process.env.MORGAN || 'tiny'));
app.use(compression());

// So many bytes of a text.
function text(bytes) {
  let text = '';
  for (let number = 0; text.length < bytes; number += 1) {
    text += `line ${number} of a text that gets smaller\n`;
  }
  return text.slice(0, bytes);
}

function pieces(res, body) {
  for (let at = 0; at < body.length; at += 1000) res.write(body.slice(at, at + 1000));
  res.end();
}

app.all('/make', (req, res) => {
  for (const [name, value] of Object.entries(req.headers)) {
    if (name.startsWith('x-set-')) res.setHeader(name.slice('x-set-'.length), value);
  }
  res.status(Number(req.headers['x-status'] || 200));
  if (req.fresh) {
    res.removeHeader('content-type');
    res.status(304).end();
    return;
  }
  const body = text(Number(req.headers['x-bytes'] || 20000));
  switch (req.headers['x-mode'] || 'whole') {
    case 'whole':
      res.setHeader('content-length', body.length);
      res.end(body);
      break;
    case 'pieces':
      pieces(res, body);
      break;
    default:
      res.end();
  }
});

app.get('/events', (req, res) => {
  res.setHeader('content-type', 'text/event-stream');
  let number = 0;
  const send = () => {
    res.write(`data: event ${number}\n\n`);
    res.flush();
    number += 1;
  };
  send();
  const timer = setInterval(send, Number(req.query.ms));
  res.on('close', () => clearInterval(timer));
});

app.all('/panic', () => {
  throw new Error('the app was asked to fail');
});

const server = app.listen(0, '127.0.0.1', () => {
  console.log(`port ${server.address().port}`);
});
