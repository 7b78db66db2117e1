// Express as its manual advises for production, without a log, with a worker per core: its own
// cluster, or PM2's when that has started it.
'use strict'

const cluster = require('node:cluster')
const fs = require('node:fs')

const workers = Number(process.env.WORKERS)

if (cluster.isPrimary) {
  for (let i = 0; i < workers; i++) cluster.fork()
  cluster.on('exit', () => cluster.fork())
} else {
  const compression = require('compression')
  const express = require('express')

  const folder = process.env.ROOT
  const json = fs.readFileSync(folder + '/20k.json')
  const app = express()
  app.disable('x-powered-by')
  app.get('/hello', (request, response) => {
    response.type('text/plain').send('Hello, world!')
  })
  app.post('/post', express.raw({ type: () => true }), (request, response) => {
    response.type('text/plain').send(request.body.length + '\n')
  })
  // Level 1, as nginx's default is.
  app.get('/20k.json', compression({ level: 1 }), (request, response) => {
    response.type('application/json').send(json)
  })
  const listen = () => {
    app.use(express.static(folder))
    const server = app.listen(Number(process.env.PORT), '127.0.0.1', 4096)
    server.keepAliveTimeout = 75000
    // What PM2's manual asks for, so that a reload lets requests end.
    process.on('SIGINT', () => server.close(() => process.exit(0)))
  }
  const redis = process.env.REDIS_URL
  if (redis) {
    require('./session')(redis).then(router => app.use('/session', router)).then(listen)
  } else {
    listen()
  }
}
