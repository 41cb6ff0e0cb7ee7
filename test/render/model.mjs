// Documents as plain arrays, so that they can be compared: made of ProseMirror's JSON, of HTML that a
// real parser has read, of Markdown that a real parser has read.
//
//     [['heading', 1, 'Plan'], ['bullets', [[['paragraph', '⟦bold⟧milk⟦⟧ and tea']]]]]
//
// A line is a string: its text, with the marks of what follows in brackets wherever they change.  White
// space has no marks, unless it is code.
import { parseFragment } from 'parse5'

import { isSafeColor, safeLink } from './random.mjs'

const isSpace = character => /^[\s\u0085]$/u.test(character)

// One way to write a URL: readers of Markdown encode some characters, each others.
function plainUrl (url) {
  try {
    url = decodeURI(url)
  } catch {}
  return url.replace(/[ "`<>\\|[\]]/g, character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}
export const link = (url, title) => `link ${plainUrl(url)} ${title ?? ''}`
export const image = (url, text, title) => [plainUrl(url), text ?? '', title ?? '']

// Runs that differ in nothing as one.
function merge (runs) {
  const merged = []
  for (const run of runs) {
    const last = merged.at(-1)
    const marks = run.marks && [...new Set(run.marks)].sort()
    if (last?.text !== undefined && run.text !== undefined && last.marks.join() === marks.join()) last.text += run.text
    else if (run.text !== '') merged.push({ ...run, marks })
  }
  return merged
}

// runs: {text, marks: ['bold', ...]}, {image: [src, alt, title], marks}, {isBreak}
export function lineOf (runs) {
  let line = ''
  let current = ''
  const mark = marks => {
    const next = marks.join(' ')
    if (next !== current) line += `⟦${next}⟧`
    current = next
  }
  for (const run of merge(runs)) {
    if (run.isBreak) line += '↵'
    else if (run.image) {
      mark(run.marks)
      line += `<image ${run.image.join(' ')}>`
    } else {
      const isCode = run.marks.includes('code') && ![...run.text].every(isSpace)
      for (const character of run.text) {
        if (isCode || !isSpace(character)) mark(run.marks)
        line += character
      }
    }
  }
  return line
}

// ---- ProseMirror's JSON ----

export const safeImage = src => src?.startsWith('data:image/png') ? src : src && !/^(mailto|tel):/.test(src) ? safeLink(src) : null

function markName ({ type, attrs }) {
  switch (type) {
    case 'link': return safeLink(attrs.href) ? link(safeLink(attrs.href), attrs.title) : null
    case 'highlight': return `highlight ${isSafeColor(attrs.color) ? attrs.color : ''}`
    case 'textStyle': return isSafeColor(attrs.color) ? `color ${attrs.color}` : null
    default: return type
  }
}

function runOf (node) {
  switch (node.type) {
    case 'hardBreak': return { isBreak: true }
    case 'image': return safeImage(node.attrs.src)
      ? { image: image(safeImage(node.attrs.src), node.attrs.alt, node.attrs.title), marks: [] }
      : { text: node.attrs.alt ?? '', marks: [] }
    case 'mention': return { text: `@${node.attrs.label ?? node.attrs.id}`, marks: [] }
    default: return { text: node.text, marks: (node.marks ?? []).map(markName).filter(name => name !== null) }
  }
}

const runsOf = node => (node.content ?? []).map(runOf)
const codeOf = node => (node.content ?? []).map(child => child.text).join('')
const languageOf = node => /^[\w+#.-]+$/.test(node.attrs.language ?? '') ? node.attrs.language : ''

// All that is in the document.
export function modelOfNodes (nodes = []) {
  return nodes.map(node => {
    switch (node.type) {
      case 'paragraph': return ['paragraph', node.attrs?.textAlign === 'url(x)' ? '' : node.attrs?.textAlign ?? '', lineOf(runsOf(node))]
      case 'heading': return ['heading', node.attrs.level, node.attrs.textAlign === 'url(x)' ? '' : node.attrs.textAlign ?? '', lineOf(runsOf(node))]
      case 'codeBlock': return ['code', languageOf(node), codeOf(node)]
      case 'horizontalRule': return ['rule']
      case 'blockquote': return ['quote', modelOfNodes(node.content)]
      case 'bulletList': return ['bullets', node.content.map(item => modelOfNodes(item.content))]
      case 'orderedList': return ['numbers', node.attrs.start, node.content.map(item => modelOfNodes(item.content))]
      case 'taskList': return ['tasks', node.content.map(item => [item.attrs.checked, ...modelOfNodes(item.content)])]
      default: return ['table', node.content.map(row => row.content.map(cell => [cell.type, ...modelOfNodes(cell.content)]))]
    }
  })
}

// ---- what Markdown keeps of it ----

const markdownMarks = /^(bold|italic|strike|code|link) ?/

// Lines of code that are only spaces: readers take them away where the code stands in a list.
const withoutBlanks = code => code.replace(/^[ \t]+$/gm, '')

// Without what readers of Markdown trim.
const trimmed = line => line.replace(/^([\s\u0085↵]|⟦⟧)+|[\s\u0085↵]+$/gu, '').replace(/↵[\s\u0085]+/gu, '↵')

export function markdownLine (runs, place = 'paragraph') {
  const kept = merge(runs.map(run => {
    if (run.isBreak) return place === 'paragraph' ? run : { text: ' ', marks: [] }
    return { ...run, marks: run.marks.filter(name => markdownMarks.test(name) && !(run.image && name === 'code')) }
  }))
  for (const run of kept) {
    if (!run.marks?.includes('code')) continue
    // in a table no code has a pipe behind a backslash
    if (place === 'cell' && run.text.includes('\\|')) run.marks = run.marks.filter(name => name !== 'code')
    else if (![...run.text].every(isSpace)) run.text = run.text.replace(/[\n\r]/g, ' ')
  }
  return trimmed(lineOf(kept))
}

function cellRuns (nodes, runs = []) {
  for (const node of nodes ?? []) {
    if (['paragraph', 'heading', 'codeBlock'].includes(node.type)) {
      if (runs.length > 0) runs.push({ text: ' ', marks: [] })
      if (node.type === 'codeBlock') runs.push({ text: codeOf(node), marks: ['code'] })
      else {
        runs.push(...runsOf(node))
        if (runs.length === 0) runs.push({ text: '', marks: [] })
      }
    } else if (node.type !== 'horizontalRule') cellRuns(node.content, runs)
  }
  return runs
}

export function markdownOfNodes (nodes = []) {
  return nodes.flatMap(node => {
    const items = () => node.content.map(item => markdownOfNodes(item.content))
    switch (node.type) {
      case 'paragraph': {
        const line = markdownLine(runsOf(node))
        return line === '' ? [] : [['paragraph', line]]
      }
      case 'heading': {
        const line = markdownLine(runsOf(node), 'heading')
        return line === '' ? [] : [['heading', node.attrs.level, line]]
      }
      case 'codeBlock': return [['code', languageOf(node), codeOf(node) === '' ? '' : withoutBlanks(codeOf(node).replace(/\r\n?/g, '\n')) + '\n']]
      case 'horizontalRule': return [['rule']]
      case 'blockquote': return [['quote', markdownOfNodes(node.content)]]
      case 'bulletList': return [['bullets', items()]]
      case 'orderedList': return [['numbers', node.attrs.start, items()]]
      case 'taskList': return [['bullets', node.content.map(item => {
        const box = { text: item.attrs.checked ? '[x] ' : '[ ] ', marks: [] }
        const [first, ...rest] = item.content ?? []
        return first?.type === 'paragraph' && markdownLine(runsOf(first)) !== ''
          ? [['paragraph', withBox(box, first)], ...markdownOfNodes(rest)]
          : [['paragraph', trimmed(box.text)], ...markdownOfNodes(item.content)]
      })]]
      default: {
        const rows = node.content.map(row => row.content.map(cell => markdownLine(cellRuns(cell.content), 'cell')))
        const hasHeader = node.content[0].content[0].type === 'tableHeader'
        return [['table', hasHeader ? rows : [rows[0].map(() => ''), ...rows]]]
      }
    }
  })
}

// The box, and the paragraph without what a line loses in front.
function withBox (box, paragraph) {
  const line = markdownLine(runsOf(paragraph))
  return trimmed(box.text + (line.startsWith('⟦⟧') ? line.slice(2) : line))
}

// ---- HTML ----

const allowed = {
  p: ['style', 'dir'], h1: ['style', 'dir'], h2: ['style', 'dir'], h3: ['style', 'dir'], h4: ['style', 'dir'], h5: ['style', 'dir'], h6: ['style', 'dir'],
  blockquote: [], pre: [], ul: ['data-type'], ol: ['start'], li: ['data-type', 'data-checked'], input: ['type', 'disabled', 'checked'], hr: [], br: [],
  table: [], thead: [], tbody: [], tr: [], th: ['colspan', 'rowspan', 'style', 'dir'], td: ['colspan', 'rowspan', 'style', 'dir'], img: ['src', 'alt', 'title', 'width', 'height'],
  a: ['href', 'title', 'rel'], strong: [], em: [], u: [], s: [], sub: [], sup: [], code: ['class'], span: ['style', 'data-node-type'], mark: ['style'], div: ['data-node-type']
}
const safeUrl = /^((https?|mailto|tel):|data:image\/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]*$|[^:]*$|[^:]*[/?#])/i
const safeStyle = /^(text-align: (left|center|right|justify)|((background-)?color: (#[0-9a-f]+|[a-z]+|(rgb|hsl)a?\([-0-9 ,.%/+deg]*\))(; |$))+)$/i
const safeValue = { href: safeUrl, src: safeUrl, style: safeStyle, class: /^language-[\w+#.-]+$/, dir: /^rtl$/, start: /^\d+$/, colspan: /^\d+$/, rowspan: /^\d+$/, width: /^\d+$/, height: /^\d+$/ }

// What is wrong with a tree of a page; '' if nothing.  Browsers drop control characters from URLs: there may be none.
export function complaint (html) {
  const visit = node => {
    if (node.nodeName !== '#text' && node.nodeName !== '#document-fragment') {
      if (!Object.hasOwn(allowed, node.nodeName)) return `element ${node.nodeName}`
      for (const { name, value } of node.attrs) {
        if (!allowed[node.nodeName].includes(name)) return `attribute ${name} of ${node.nodeName}`
        if (safeValue[name] && !safeValue[name].test(value)) return `${name}=${JSON.stringify(value)}`
        if ((name === 'href' || name === 'src') && /[\u0000-\u001f\u007f]/u.test(value)) return `${name}=${JSON.stringify(value)}`
      }
    }
    for (const child of node.childNodes ?? []) {
      const wrong = visit(child)
      if (wrong) return wrong
    }
    return ''
  }
  return visit(parseFragment(html))
}

export const textOfHtml = html => {
  const visit = node => node.nodeName === '#text' ? node.value : (node.childNodes ?? []).map(visit).join('')
  return visit(parseFragment(html))
}

const attributeOf = (node, name) => node.attrs.find(each => each.name === name)?.value
const markElements = { strong: 'bold', em: 'italic', u: 'underline', s: 'strike', code: 'code', sub: 'subscript', sup: 'superscript' }
const styleOf = (node, property) => new RegExp(`(?:^|; )${property}: ([^;]*)`).exec(attributeOf(node, 'style') ?? '')?.[1] ?? ''

function runsOfHtml (nodes, marks = []) {
  return nodes.flatMap(node => {
    switch (node.nodeName) {
      case '#text': return [{ text: node.value, marks }]
      case 'br': return [{ isBreak: true }]
      case 'img': return [{ image: image(attributeOf(node, 'src'), attributeOf(node, 'alt'), attributeOf(node, 'title')), marks }]
      case 'a': return runsOfHtml(node.childNodes, [...marks, link(attributeOf(node, 'href'), attributeOf(node, 'title'))])
      case 'mark': return runsOfHtml(node.childNodes, [...marks, `highlight ${styleOf(node, 'background-color')}`])
      case 'span': return runsOfHtml(node.childNodes, [...marks, ...['color', 'background-color'].filter(name => styleOf(node, name)).map(name => `${name} ${styleOf(node, name)}`)])
      default: return runsOfHtml(node.childNodes, [...marks, markElements[node.nodeName]])
    }
  })
}

const inlineNames = new Set(['#text', 'br', 'img', 'a', 'mark', 'span', ...Object.keys(markElements)])

function blocksOfHtml (nodes) {
  // runs that stand among blocks are a line of their own
  if (nodes.length > 0 && nodes.every(node => inlineNames.has(node.nodeName))) return [['paragraph', '', lineOf(runsOfHtml(nodes))]]
  return nodes.map(node => {
    const children = node.childNodes
    const dir = attributeOf(node, 'dir') ? ' rtl' : ''
    switch (node.nodeName) {
      case 'p': return ['paragraph', styleOf(node, 'text-align') + dir, lineOf(runsOfHtml(children))]
      case 'pre': return ['code', (attributeOf(children[0], 'class') ?? '').replace('language-', ''), children[0].childNodes.map(child => child.value).join('')]
      case 'hr': return ['rule']
      case 'blockquote': return ['quote', blocksOfHtml(children)]
      case 'ul': return attributeOf(node, 'data-type')
        ? ['tasks', children.map(item => [attributeOf(item, 'data-checked') === 'true', ...blocksOfHtml(item.childNodes.slice(1))])]
        : ['bullets', children.map(item => blocksOfHtml(item.childNodes))]
      case 'ol': return ['numbers', Number(attributeOf(node, 'start') ?? 1), children.map(item => blocksOfHtml(item.childNodes))]
      case 'table': return ['table', children.flatMap(part => part.childNodes).map(row => row.childNodes.map(cell => [cell.nodeName === 'th' ? 'tableHeader' : 'tableCell', ...blocksOfHtml(cell.childNodes)]))]
      default: return ['heading', Number(node.nodeName.slice(1)), styleOf(node, 'text-align') + dir, lineOf(runsOfHtml(children))]
    }
  })
}

export const modelOfHtml = html => blocksOfHtml(parseFragment(html).childNodes)

// The lines of a page, or of Markdown, in order: [heading, code or line, its text with marks].
export function linesOfHtml (html) {
  const visit = nodes => {
    // an item's own line may stand in it without an element
    const end = nodes.findIndex(node => !inlineNames.has(node.nodeName))
    const own = end < 0 ? nodes : nodes.slice(0, end)
    return [['line', lineOf(runsOfHtml(own))], ...(end < 0 ? [] : nodes.slice(end)).flatMap(visitBlock)]
  }
  const visitBlock = node => {
    const children = node.childNodes ?? []
    switch (node.nodeName) {
      case 'p': return [['line', lineOf(runsOfHtml(children))]]
      case 'pre': return children[0].childNodes.map(child => child.value).join('').split('\n').map(line => ['code', line])
      case 'li': return visit(children[0]?.nodeName === 'input' ? children.slice(1) : children)
      case 'td': return visit(children)
      case 'h1': case 'h2': case 'h3': case 'h4': case 'h5': case 'h6': return [['heading', lineOf(runsOfHtml(children))]]
      default: return children.flatMap(visitBlock)
    }
  }
  return parseFragment(html).childNodes.flatMap(visitBlock)
}

export function linesOfModel (blocks) {
  return blocks.flatMap(([kind, ...rest]) => {
    switch (kind) {
      case 'paragraph': return [['line', rest[0]]]
      case 'heading': return [['heading', rest[1]]]
      case 'code': return rest[1].replace(/\n$/, '').split('\n').map(line => ['code', line])
      case 'quote': return linesOfModel(rest[0])
      case 'table': return rest[0].flat().map(line => ['line', line])
      default: return rest.at(-1).flatMap(linesOfModel)
    }
  })
}

// ---- Quill's formats ----

export function markOfFormat (key, value) {
  switch (key) {
    case 'link': return safeLink(value) ? link(safeLink(value)) : null
    case 'script': return { sub: 'subscript', super: 'superscript' }[value]
    case 'color': return isSafeColor(value) ? `color ${value}` : null
    case 'background': return isSafeColor(value) ? `background-color ${value}` : null
    case 'bold': case 'italic': case 'underline': case 'strike': case 'code': return key
    default: return null
  }
}

// ---- Markdown ----

// The tokens of markdown-it.
export function modelOfTokens (tokens) {
  let at = 0
  const line = inline => {
    const marks = []
    const runs = []
    for (const token of inline.children) {
      const name = { strong: 'bold', em: 'italic', s: 'strike' }[token.type.split('_')[0]]
      if (token.type === 'link_open') marks.push(link(token.attrGet('href'), token.attrGet('title')))
      else if (token.nesting === 1) marks.push(name)
      else if (token.nesting === -1) marks.pop()
      else if (token.type === 'hardbreak') runs.push({ isBreak: true })
      else if (token.type === 'softbreak') runs.push({ text: '\n', marks: [] })
      else if (token.type === 'image') runs.push({ image: image(token.attrGet('src'), token.children.map(child => child.content).join(''), token.attrGet('title')), marks: [...marks] })
      else if (token.type === 'html_inline') runs.push({ text: '?HTML?', marks: [] })
      else runs.push({ text: token.content, marks: token.type === 'code_inline' ? [...marks, 'code'] : [...marks] })
    }
    return trimmed(lineOf(runs))
  }
  const until = type => {
    const blocks = []
    for (; tokens[at] && tokens[at].type !== type; at++) blocks.push(block(tokens[at]))
    return blocks
  }
  const block = token => {
    at++
    switch (token.type) {
      case 'paragraph_open': at++; return ['paragraph', line(tokens[at - 1])]
      case 'heading_open': at++; return ['heading', Number(token.tag.slice(1)), line(tokens[at - 1])]
      case 'fence': at--; return ['code', token.info, withoutBlanks(token.content)]
      case 'code_block': at--; return ['indented', token.content]
      case 'hr': at--; return ['rule']
      case 'blockquote_open': return ['quote', until('blockquote_close')]
      case 'bullet_list_open': return ['bullets', until('bullet_list_close')]
      case 'ordered_list_open': return ['numbers', Number(token.attrGet('start') ?? 1), until('ordered_list_close')]
      case 'list_item_open': return until('list_item_close')
      case 'table_open': {
        const rows = []
        for (; tokens[at].type !== 'table_close'; at++) {
          if (tokens[at].type === 'tr_open') rows.push([])
          if (tokens[at].type === 'inline') rows.at(-1).push(line(tokens[at]))
        }
        return ['table', rows]
      }
      default: at--; return [token.type]
    }
  }
  return until(undefined)
}

// The tree of commonmark.js, which knows no tables and no strikethrough.
export function modelOfCommonmark (root) {
  const children = node => {
    const list = []
    for (let child = node.firstChild; child; child = child.next) list.push(child)
    return list
  }
  const runs = (node, marks = []) => children(node).flatMap(child => {
    switch (child.type) {
      case 'text': return [{ text: child.literal, marks }]
      case 'code': return [{ text: child.literal, marks: [...marks, 'code'] }]
      case 'linebreak': return [{ isBreak: true }]
      case 'softbreak': return [{ text: '\n', marks: [] }]
      case 'strong': return runs(child, [...marks, 'bold'])
      case 'emph': return runs(child, [...marks, 'italic'])
      case 'link': return runs(child, [...marks, link(child.destination, child.title)])
      case 'image': return [{ image: image(child.destination, runs(child).map(run => run.text).join(''), child.title), marks }]
      default: return [{ text: `?${child.type}?`, marks }]
    }
  })
  const line = node => trimmed(lineOf(runs(node)))
  const blocks = node => children(node).map(child => {
    switch (child.type) {
      case 'paragraph': return ['paragraph', line(child)]
      case 'heading': return ['heading', child.level, line(child)]
      case 'code_block': return [child._isFenced ? 'code' : 'indented', child.info ?? '', withoutBlanks(child.literal)]
      case 'thematic_break': return ['rule']
      case 'block_quote': return ['quote', blocks(child)]
      case 'list': return child.listType === 'bullet' ? ['bullets', children(child).map(blocks)] : ['numbers', child.listStart, children(child).map(blocks)]
      default: return [child.type]
    }
  })
  return blocks(root)
}

// ProseMirror's JSON by the names of its own schemas, as ydoc_markdown_to_prosemirror gives it.
export function modelOfRead (nodes = []) {
  const names = { strong: 'bold', em: 'italic', code: 'code' }
  const marksOf = node => (node.marks ?? []).map(({ type, attrs }) => type === 'link' ? link(attrs.href, attrs.title) : names[type])
  const runOf = node => {
    switch (node.type) {
      case 'hard_break': return { isBreak: true }
      case 'image': return { image: image(node.attrs.src, node.attrs.alt, node.attrs.title), marks: marksOf(node) }
      default: return { text: node.text, marks: marksOf(node) }
    }
  }
  const line = node => trimmed(lineOf((node.content ?? []).map(runOf)))
  const code = node => (node.content ?? []).map(child => child.text).join('')
  // an item begins with a paragraph, and nothing is empty: what was put there for that
  const inside = node => modelOfRead(node.content).filter(([kind, text]) => kind !== 'paragraph' || text !== '')
  return nodes.map(node => {
    switch (node.type) {
      case 'paragraph': return ['paragraph', line(node)]
      case 'heading': return ['heading', node.attrs.level, line(node)]
      case 'code_block': return ['code', node.attrs?.params ?? '', code(node) === '' ? '' : withoutBlanks(code(node)) + '\n']
      case 'horizontal_rule': return ['rule']
      case 'blockquote': return ['quote', inside(node)]
      case 'bullet_list': return ['bullets', node.content.map(inside)]
      default: return ['numbers', node.attrs.order, node.content.map(inside)]
    }
  })
}
