// A small session API as an Express user writes it, with express-session and connect-redis. The
// tests run it beside ours, on the same Redis.
//
// SESSION and STORE are the options of the two as JSON, REDIS_URL says where Redis is.
'use strict';

const { RedisStore } = require('connect-redis');
const express = require('express');
const session = require('express-session');
const { createClient } = require('redis');

const client = createClient({ url: process.env.REDIS_URL });
client.on('error', (error) => console.error(error.message));

const app = express();
app.disable('x-powered-by');
app.set('query parser', 'simple');
app.use(
  session({
    secret: 'keyboard cat',
    resave: false,
    saveUninitialized: false,
    ...JSON.parse(process.env.SESSION || '{}'),
    store: new RedisStore({ client, ...JSON.parse(process.env.STORE || '{}') }),
  }),
);

// What every route answers.
function show(req, res) {
  res.json({ sid: req.sessionID, session: req.session ?? null });
}

app.get('/set', (req, res) => {
  Object.assign(req.session, req.query);
  show(req, res);
});

app.get('/get', show);

app.get('/remove', (req, res) => {
  for (const name of Object.keys(req.query)) delete req.session[name];
  show(req, res);
});

// Counts inside a nested value.
app.get('/nested', (req, res) => {
  const nested = req.session.nested ?? { user: { name: 'Zoë', roles: ['admin', 'editor'] }, visits: 0 };
  nested.visits += 1;
  req.session.nested = nested;
  show(req, res);
});

app.get('/destroy', (req, res, next) => {
  req.session.destroy((error) => (error ? next(error) : show(req, res)));
});

app.get('/regenerate', (req, res, next) => {
  req.session.regenerate((error) => (error ? next(error) : show(req, res)));
});

// A form: loaded before the body is read, which a client that expects 100 is told.
app.post('/set', (req, res, next) => {
  res.writeContinue();
  next();
});
app.use(express.urlencoded({ extended: false }));
app.post('/set', (req, res) => {
  Object.assign(req.session, req.body);
  show(req, res);
});

app.post('/login', (req, res, next) => {
  req.session.regenerate((error) => {
    if (error) return next(error);
    req.session.user = req.body.user;
    return show(req, res);
  });
});

app.post('/logout', (req, res, next) => {
  req.session.destroy((error) => (error ? next(error) : show(req, res)));
});

// Knows nothing of sessions.
app.get('/plain', (req, res) => res.send('plain'));

async function main() {
  await client.connect();
  const server = app.listen(0, '127.0.0.1', () => {
    console.log(`port ${server.address().port}`);
  });
  server.on('checkContinue', (req, res) => app(req, res)); // the route says when
}

main();
