// Somebody at an editor, who types with real keys and knows where his cursor has to be.
//
//     const ann = new Person({ name: 'Ann', page, look, letters: 'ABC', random })
//     await ann.settle()             -- goes somewhere, and begins to type
//     await ann.act()                -- types, or corrects, or goes elsewhere, or only looks
//
// Everybody has capital letters of his own, which nobody else writes or deletes:
//
//     … pear C A B A| and apple A C …          left: CABA, right: AC
//
// So whatever happens around him, at any time: those of his letters that stand before the cursor are
// the ones that he has left there, in their order; so it is behind it; and the character right
// before the cursor is the letter that he has typed last.
import assert from 'node:assert/strict'

import { sleep } from '../relay/harness.mjs'

const moves = ['Control+Home', 'Control+End', 'ArrowUp', 'ArrowDown', 'ArrowLeft', 'ArrowRight', 'Home', 'End', 'PageDown', 'PageUp']

export class Person {
  // look(page) gives the text before and behind the cursor, the part of it before the cursor that the
  // browser shows in one piece, and whether one may type there, and press Enter
  constructor ({ name, page, look, letters, random }) {
    Object.assign(this, { name, page, letters, random, look: () => look(page), typed: 0, checks: 0 })
  }

  own (text) {
    return [...text].filter(letter => this.letters.includes(letter)).join('')
  }

  async check (when) {
    const { before, after, shown } = await this.look()
    const around = `${this.name}, ${when}: ${JSON.stringify(before.slice(-40))} | ${JSON.stringify(after.slice(0, 40))}`
    assert.equal(this.own(before), this.left, around)
    assert.equal(this.own(after), this.right, around)
    assert.equal(before.slice(-1), this.left.slice(-1), around)
    assert.ok(before.endsWith(shown), `${around}, shown behind ${JSON.stringify(shown)}`)
    this.checks++
  }

  // Goes to a place where one may type, and begins there.
  async settle () {
    const { random } = this
    for (let tries = 0, place; !place?.canType; tries++) {
      assert.ok(tries < 100, `${this.name} finds no place to type`)
      if (random.below(3) === 0) {
        const { x, y, width, height } = await this.page.locator('[contenteditable=true]').boundingBox()
        const { height: most } = this.page.viewportSize()
        await this.page.mouse.click(x + random.below(width), y + random.below(Math.min(height, most - y)))
      } else {
        const move = random.pick(moves)
        for (let times = 1 + random.below(6); times > 0; times--) await this.page.keyboard.press(move)
      }
      place = await this.rest()
      if (place.canSplit && random.below(2) === 0) {
        await this.page.keyboard.press('Enter')
        place = await this.rest()
      }
      this.left = this.own(place.before)
      this.right = this.own(place.after)
    }
    await this.type()
  }

  // What there is to see when the editor has heard where the browser has put the cursor.  CodeMirror
  // looks again 20 ms after a click that an update came into, by a timer that is older than ours.
  async rest () {
    await this.page.evaluate(() => new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve, 30))))
    return this.look()
  }

  // A letter that differs from the one before: one could not tell them apart.
  async type () {
    const letter = this.random.pick([...this.letters].filter(each => each !== this.left.at(-1)))
    await this.page.keyboard.press(`Shift+${letter}`)
    this.left += letter
    this.typed++
    await this.check(`having typed ${letter}`)
  }

  async correct () {
    await this.page.keyboard.press('Backspace')
    this.left = this.left.slice(0, -1)
    await this.type()
  }

  async act () {
    const what = this.random.below(20)
    if (what < 9) await this.type()
    else if (what < 11) await this.correct()
    else if (what === 11) await this.settle()
    else await this.check('looking')
    await sleep(this.random.below(60)) // as fast as people are
  }
}
