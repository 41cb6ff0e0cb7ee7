// What Tiptap's nodes and prosemirror-markdown's may hold: their content expressions, and which marks
// shut out others.
import { Schema } from 'prosemirror-model'

const attributes = (...names) => Object.fromEntries(names.map(name => [name, { default: null }]))

export const tiptap = new Schema({
  nodes: {
    doc: { content: 'block+' },
    paragraph: { group: 'block', content: 'inline*', attrs: attributes('textAlign') },
    heading: { group: 'block', content: 'inline*', attrs: attributes('level') },
    blockquote: { group: 'block', content: 'block+' },
    codeBlock: { group: 'block', content: 'text*', marks: '', attrs: attributes('language') },
    horizontalRule: { group: 'block' },
    bulletList: { group: 'block', content: 'listItem+' },
    orderedList: { group: 'block', content: 'listItem+', attrs: attributes('start') },
    listItem: { content: 'paragraph block*' },
    taskList: { group: 'block', content: 'taskItem+' },
    taskItem: { content: 'paragraph block*', attrs: attributes('checked') },
    table: { group: 'block', content: 'tableRow+' },
    tableRow: { content: '(tableCell | tableHeader)*' },
    tableCell: { content: 'block+' },
    tableHeader: { content: 'block+' },
    image: { group: 'block', attrs: attributes('src', 'alt', 'title') },
    hardBreak: { group: 'inline', inline: true },
    text: { group: 'inline' }
  },
  marks: { link: { attrs: attributes('href', 'title') }, bold: {}, italic: {}, strike: {}, code: { excludes: '_' } }
})

export const prosemirror = new Schema({
  nodes: {
    doc: { content: 'block+' },
    paragraph: { group: 'block', content: 'inline*' },
    heading: { group: 'block', content: '(text | image)*', attrs: attributes('level') },
    blockquote: { group: 'block', content: 'block+' },
    code_block: { group: 'block', content: 'text*', marks: '', attrs: attributes('params') },
    horizontal_rule: { group: 'block' },
    bullet_list: { group: 'block', content: 'list_item+' },
    ordered_list: { group: 'block', content: 'list_item+', attrs: attributes('order') },
    list_item: { content: 'block+' },
    image: { group: 'inline', inline: true, attrs: attributes('src', 'alt', 'title') },
    hard_break: { group: 'inline', inline: true },
    text: { group: 'inline' }
  },
  marks: { link: { attrs: attributes('href', 'title') }, em: {}, strong: {}, code: {} }
})
