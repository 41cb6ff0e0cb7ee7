// Random documents: what an editor makes of ProseMirror's nodes and marks, and Quill's Deltas.  Texts are
// full of what means something to HTML and Markdown.
import { Schema } from 'prosemirror-model'

// ---- a schema with Tiptap's names ----

const attribute = value => ({ default: value })

export const schema = new Schema({
  nodes: {
    doc: { content: 'block+' },
    paragraph: { group: 'block', content: 'inline*', attrs: { textAlign: attribute(null) } },
    heading: { group: 'block', content: 'inline*', attrs: { level: attribute(1), textAlign: attribute(null) } },
    blockquote: { group: 'block', content: 'block+' },
    codeBlock: { group: 'block', content: 'text*', marks: '', attrs: { language: attribute(null) } },
    horizontalRule: { group: 'block' },
    bulletList: { group: 'block', content: 'listItem+' },
    orderedList: { group: 'block', content: 'listItem+', attrs: { start: attribute(1) } },
    listItem: { content: 'block*' },
    taskList: { group: 'block', content: 'taskItem+' },
    taskItem: { content: 'block*', attrs: { checked: attribute(false) } },
    table: { group: 'block', content: 'tableRow+' },
    tableRow: { content: '(tableCell | tableHeader)+' },
    tableCell: { content: 'block+', attrs: { colspan: attribute(1), rowspan: attribute(1) } },
    tableHeader: { content: 'block+', attrs: { colspan: attribute(1), rowspan: attribute(1) } },
    image: { group: 'inline', inline: true, attrs: { src: attribute(null), alt: attribute(null), title: attribute(null) } },
    hardBreak: { group: 'inline', inline: true },
    mention: { group: 'inline', inline: true, attrs: { id: attribute(null), label: attribute(null) } },
    text: { group: 'inline' }
  },
  marks: {
    link: { attrs: { href: {}, title: attribute(null) } },
    bold: {},
    italic: {},
    strike: {},
    underline: {},
    code: {},
    subscript: {},
    superscript: {},
    highlight: { attrs: { color: attribute(null) } },
    textStyle: { attrs: { color: attribute(null) } }
  }
})

// ---- words ----

const words = [
  'a', 'word', 'two words', 'é', '語', '日本語', '「x」', '…', '€', '😀', 'Ω', 'ж', '"quoted"', '(x)', '*', '**', '_', '__', 'snake_case', '`', '``',
  '```', '~', '~~', '#', '##', '1.', '12)', '1986. A', '-', '- x', '+', '+ y', '=', '===', '---', ':--', '| --- |', '>', '> q', '|', 'a|b', '\\', '\\|', '\\*', '[', ']',
  '[x]', '[x](y)', '![x](y)', '[ ]', '!', '<', '<b>', '</p>', '<!--', '<script>alert(1)</script>', '&', '&amp;', '&copy;', '&#35;', '&#x41;', "it's", '$x$',
  '\t', ' ', '  ', ' x', 'x ', '    y', '\u00a0', '\u2003', '\ufeff', '.', ',', ':', '!', '?', '10', '://', '@', '^', '{', '}', '&lt', ';'
]

export function randomText (random) {
  return random.some(1, 4, () => random.pick(words)).join('')
}

// [what a document says, what may be shown of it]
export const links = [
  ['https://example.com/a_b*c?d=e&copy=1#f', undefined], ['http://a.b/(x)', undefined], ['mailto:a@b.c', undefined], ['tel:+1', undefined], ['/path', undefined], ['#top', undefined],
  ['a b', 'a%20b'], ['/p|q', undefined], ['?a:b', undefined], ['//host/x', undefined], ['/back\\slash', undefined], ['/q"uote', '/q%22uote'], ['/tick`', '/tick%60'], ['/<b>', '/%3Cb%3E'],
  ['HTTPS://X.Y', undefined], [' https://x.y ', 'https://x.y'], ['ht\ntps://x.y', 'https://x.y'], ['/ü', undefined], ['/~~x~~', undefined], ['/[x]', undefined],
  ['javascript:alert(1)', null], ['JaVaScRiPt:alert(1)', null], [' \u0001javascript:alert(1)', null], ['java\nscript:alert(1)', null], ['java\tscript:alert(1)', null],
  ['vbscript:x', null], ['data:text/html,<script>', null], ['file:///etc/passwd', null], ['foo:bar', null], ['', null], ['java\u0000script:x', null]
]
const shown = new Map(links.map(([given, safe]) => [given, safe === undefined ? given : safe]))
export const safeLink = href => shown.get(href)

export const colors = ['#f00', '#ff0000', 'red', 'rgb(1, 2, 3)', 'rgba(1,2,3,.5)', 'hsl(90deg 50% 50%)', 'url(x)', 'red;position:fixed', 'expression(alert(1))', '#xyz', 'var(--x)', '"', '']
export const isSafeColor = color => colors.indexOf(color) >= 0 && colors.indexOf(color) < 6

// ---- ProseMirror ----

export function randomMarks (random) {
  const marks = []
  const add = (type, attrs) => marks.push(attrs ? { type, attrs } : { type })
  if (random.once(3)) add('bold')
  if (random.once(3)) add('italic')
  if (random.once(6)) add('strike')
  if (random.once(8)) add('underline')
  if (random.once(8)) add('code')
  if (random.once(12)) add('subscript')
  if (random.once(12)) add('superscript')
  if (random.once(8)) add('link', { href: random.pick(links)[0], title: random.pick([null, null, 'a "title"', 'x & y\\']) })
  if (random.once(12)) add('highlight', { color: random.pick([null, ...colors]) })
  if (random.once(12)) add('textStyle', { color: random.pick(colors) })
  return marks
}

const textNode = (text, marks) => marks.length > 0 ? { type: 'text', text, marks } : { type: 'text', text }

function randomInlines (random) {
  return random.some(0, 5, () => {
    if (random.once(12)) return { type: 'hardBreak' }
    if (random.once(14)) return { type: 'image', attrs: { src: random.pick([...links.map(([given]) => given), 'data:image/png;base64,AA==', 'data:image/svg+xml;base64,AA==']), alt: random.pick([null, 'alt', 'a *b* ]']), title: random.pick([null, 'title']) } }
    if (random.once(20)) return { type: 'mention', attrs: { id: '7', label: random.pick(['ann', '*ben*', null]) } }
    return textNode(randomText(random), randomMarks(random))
  })
}

const align = random => random.pick([null, null, null, 'center', 'right', 'url(x)'])

export function randomBlock (random, depth) {
  const blocks = (least, most) => random.some(least, most, () => randomBlock(random, depth - 1))
  const item = type => {
    const first = random.once(8) ? [] : [{ type: 'paragraph', content: randomInlines(random) }]
    const node = { type, content: [...first, ...(random.once(3) ? blocks(0, 2) : [])] }
    return type === 'taskItem' ? { ...node, attrs: { checked: random.once(2) } } : node
  }
  switch (random.below(depth > 0 ? 13 : 4)) {
    case 0: return { type: 'heading', attrs: { level: 1 + random.below(6), textAlign: align(random) }, content: randomInlines(random) }
    case 1: return random.once(3)
      ? { type: 'horizontalRule' }
      : { type: 'codeBlock', attrs: { language: random.pick([null, 'sql', 'c++', 'a b', '"x"']) }, content: random.once(4) ? [] : [textNode(random.some(1, 4, () => randomText(random)).join('\n'), [])] }
    case 2: case 3: case 4: return { type: 'paragraph', attrs: { textAlign: align(random) }, content: randomInlines(random) }
    case 5: return { type: 'blockquote', content: blocks(1, 3) }
    case 6: case 7: return { type: 'bulletList', content: random.some(1, 3, () => item('listItem')) }
    case 8: case 9: return { type: 'orderedList', attrs: { start: random.pick([1, 1, 1, 0, 7, 99, 999999998]) }, content: random.some(1, 3, () => item('listItem')) }
    case 10: return { type: 'taskList', content: random.some(1, 3, () => item('taskItem')) }
    default: {
      const columns = 1 + random.below(3)
      const row = type => ({ type: 'tableRow', content: Array.from({ length: columns }, () => ({ type, content: blocks(1, 2) })) })
      return { type: 'table', content: [row(random.pick(['tableHeader', 'tableCell'])), ...random.some(0, 2, () => row('tableCell'))] }
    }
  }
}

// Not larger than a command line takes.
export function randomDocument (random) {
  const document = { type: 'doc', content: random.some(1, 6, () => randomBlock(random, 3)) }
  return JSON.stringify(document).length < 20000 ? document : randomDocument(random)
}

// ---- Quill ----

export function randomDelta (random) {
  const ops = []
  const formats = () => {
    const attributes = {}
    for (const { type, attrs } of randomMarks(random)) {
      if (type === 'link') attributes.link = attrs.href
      else if (type === 'subscript') attributes.script = 'sub'
      else if (type === 'superscript') attributes.script = 'super'
      else if (type === 'highlight') attributes.background = attrs.color
      else if (type === 'textStyle') attributes.color = attrs.color
      else attributes[type] = true
    }
    return attributes
  }
  let line = {}
  for (let i = random.below(12); i >= 0; i--) {
    if (random.once(2)) {
      line = random.pick([
        {}, {}, { header: 1 + random.below(6) }, { blockquote: true }, { 'code-block': random.pick([true, 'plain', 'javascript', '"x"']) },
        { list: random.pick(['bullet', 'ordered', 'checked', 'unchecked']), ...(random.once(2) ? { indent: 1 + random.below(3) } : {}) },
        { align: random.pick(['center', 'right', 'x"y']) }, { direction: 'rtl', align: 'right' }, { table: 'row-' + random.below(2) }
      ])
    }
    const inlines = line['code-block'] ? () => ({ insert: randomText(random) }) : () => ({ insert: random.once(12) ? { image: random.pick(links)[0] } : randomText(random), attributes: formats() })
    ops.push(...random.some(0, 3, inlines), { insert: '\n', attributes: line })
  }
  return ops
}
