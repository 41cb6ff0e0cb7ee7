// A small disk for a data directory, which can be filled to the last byte.
//
// It is a tmpfs, which only root may mount; everybody else gets none, and then no disk is filled.
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'

const free = directory => {
  const { bavail, bsize } = statfsSync(directory)
  return bavail * bsize
}

export function makeDisk (megabytes) {
  let directory
  const disk = {
    isSmall: process.getuid() === 0,
    // for startDatabase()
    before (data, { uid, gid }) {
      if (!disk.isSmall) return () => {}
      mkdirSync(data)
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=700,uid=${uid},gid=${gid}`, 'pg_ydoc-faults', data])
      directory = data
      return () => {
        try {
          execFileSync('umount', ['-l', data], { stdio: 'ignore' })
        } catch {} // it was unmounted already
      }
    },
    fill () {
      const file = join(directory, 'ballast')
      // the server takes some of it meanwhile
      for (let size = 0, more = free(directory); more >= 4096; more = Math.min(free(directory), more >> 1)) {
        try {
          execFileSync('fallocate', ['-o', String(size), '-l', String(more), file], { stdio: 'ignore' })
          size += more
        } catch {}
      }
    },
    free () {
      rmSync(join(directory, 'ballast'), { force: true })
    }
  }
  return disk
}
