// The demo page in headless Chromium, twice: what one types the other reads.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { launchChromium, openPage } from './chromium.mjs'
import { startDatabase, startRelay, until } from '../relay/harness.mjs'

const pages = new URL('../../demo/dist', import.meta.url).pathname
let database, relay, browser

before(async () => {
  database = await startDatabase()
  relay = await startRelay(database, { static: pages })
  browser = await launchChromium()
})

after(async () => {
  await browser?.close()
  await relay?.stop()
  await database?.stop()
})

// A person with the document open and live.
async function person (document, name) {
  const open = await openPage(browser, `${relay.http}/#${encodeURIComponent(document)}`, name)
  return { ...open, editor: open.page.locator('.cm-content') }
}

// Waits until the editor shows text.  (The page's policy forbids the evaluation that
// waitForFunction needs, and rightly so.)
const shows = (someone, text) => until(async () => (await someone.editor.innerText()).includes(text))

test('what one types the other reads, and so does SQL', async () => {
  const ann = await person('notes/one', 'Ann')
  const ben = await person('notes/one', 'Ben')

  await ann.editor.click()
  await ann.page.keyboard.type('Dear Ben, ')
  await shows(ben, 'Dear Ben,')
  await ben.editor.click()
  await ben.page.keyboard.press('Control+End')
  await ben.page.keyboard.type('thank you, Ann.')
  await shows(ann, 'Dear Ben, thank you, Ann.')
  assert.equal(await database.psql("SELECT ydoc.text('notes/one', 'content')"), 'Dear Ben, thank you, Ann.')
  assert.deepEqual(ann.complaints.concat(ben.complaints), [])
  await ann.context.close()
  await ben.context.close()
})

test("the other's name is listed, and his cursor is in the text", async () => {
  const ann = await person('names', 'Ann')
  const ben = await person('names', 'Ben')

  await ann.page.waitForSelector('#people li:has-text("Ben")')
  await ben.editor.click()
  await ben.page.keyboard.type('here')
  await ann.page.waitForSelector('.cm-ySelectionInfo:has-text("Ben")', { state: 'attached' })
  await ben.context.close()
  await ann.page.waitForSelector('#people li:has-text("Ben")', { state: 'detached' })
  await ann.context.close()
})

test('what is typed offline is kept, and arrives when the connection is back', async () => {
  const ann = await person('offline', 'Ann')
  const ben = await person('offline', 'Ben')

  await ann.context.setOffline(true)
  await ann.page.waitForSelector('body[data-connection=offline]')
  await ann.editor.click()
  await ann.page.keyboard.type('from the train ')
  await ben.editor.click()
  await ben.page.keyboard.type('meanwhile ')
  await ann.context.setOffline(false)
  await shows(ben, 'from the train')
  await shows(ann, 'meanwhile')
  await ann.context.close()
  await ben.context.close()
})

test('an update applied in SQL appears in the page', async () => {
  const ann = await person('from-sql', 'Ann')

  // "Hello" inserted at the start of root "content" by client 1
  await database.psql(
    "SELECT ydoc.apply('from-sql', ARRAY['\\x0101010004010763" +
    "6f6e74656e740548656c6c6f00'::bytea])")
  await shows(ann, 'Hello')
  await ann.context.close()
})

test('a deleted document says so, a renamed one goes on with what was typed offline', async () => {
  const ann = await person('short-lived', 'Ann')
  await ann.editor.click()
  await ann.page.keyboard.type('a few words ')
  await until(async () => await database.text('short-lived') === 'a few words ')
  await ann.context.setOffline(true)
  await ann.page.waitForSelector('body[data-connection=offline]')
  await ann.page.keyboard.type('and more')
  await database.psql("SELECT ydoc.rename('short-lived', 'longer/lived')")
  await ann.context.setOffline(false)
  await until(async () => await database.text('longer/lived') === 'a few words and more')
  await ann.page.waitForSelector('body[data-connection=live]')
  assert.match(ann.page.url(), /#longer%2Flived$/)

  await database.psql("SELECT ydoc.delete('longer/lived')")
  await ann.page.waitForSelector('body[data-connection=closed]')
  assert.match(await ann.page.locator('#connection-text').innerText(), /^deleted/)
  assert.deepEqual(ann.complaints.filter(complaint => !complaint.includes('ERR_INTERNET_DISCONNECTED')), [])
  await ann.context.close()
})
