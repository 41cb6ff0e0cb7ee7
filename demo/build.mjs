// Bundles the page into dist/, which the relay serves.
import { build } from 'esbuild'
import { copyFile, mkdir } from 'node:fs/promises'

const here = new URL('.', import.meta.url).pathname
await mkdir(`${here}dist`, { recursive: true })
await build({
  entryPoints: [`${here}src/main.js`],
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2020',
  outfile: `${here}dist/main.js`,
  legalComments: 'linked'
})
await copyFile(`${here}src/style.css`, `${here}dist/style.css`)
await copyFile(`${here}src/index.html`, `${here}dist/index.html`)
