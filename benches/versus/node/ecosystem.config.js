// PM2 in its cluster mode, as its manual advises.
'use strict'

module.exports = {
  apps: [
    {
      name: 'bench',
      script: process.env.APP,
      exec_mode: 'cluster',
      instances: Number(process.env.WORKERS),
      autorestart: true
    }
  ]
}
