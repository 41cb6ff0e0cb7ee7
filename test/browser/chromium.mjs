// Headless Chromium, Debian's, and people in front of it.
import { chromium } from 'playwright-core'

export const launchChromium = () => chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'
  ]
})

// A page at this address in a browser profile of its own, whose owner has told the demo his name.
// What goes wrong in it is collected in complaints.  Resolves when the page says it is live.
export async function openPage (browser, address, name) {
  const context = await browser.newContext()
  await context.addInitScript(mine => localStorage.setItem('pg_ydoc name', mine), name)
  const page = await context.newPage()
  const complaints = []
  page.on('pageerror', error => complaints.push(String(error)))
  page.on('console', message => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  await page.goto(address)
  await page.waitForSelector('body[data-connection=live]')
  return { context, page, complaints }
}
