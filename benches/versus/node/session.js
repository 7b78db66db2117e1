// Sessions as the manuals of express-session and connect-redis advise: stored only when there is
// something in them, and saved only when they have changed.
'use strict'

const { RedisStore } = require('connect-redis')
const express = require('express')
const session = require('express-session')
const { createClient } = require('redis')

module.exports = async url => {
  const client = createClient({ url })
  client.on('error', error => console.error(error.message))
  await client.connect()

  const router = express.Router()
  router.use(session({
    store: new RedisStore({ client }),
    secret: process.env.SESSION_SECRET,
    resave: false,
    saveUninitialized: false
  }))
  router.get('/read', (request, response) => {
    response.type('text/plain').send(String(request.session.views || 0))
  })
  router.get('/write', (request, response) => {
    request.session.views = (request.session.views || 0) + 1
    response.type('text/plain').send('saved')
  })
  return router
}
