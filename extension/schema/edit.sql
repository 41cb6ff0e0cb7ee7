
-- ---- editing values ----
--
-- Each verb comes for a root's name and for a path, on values here and on stored documents below.
-- One list, so that the four always agree: name, arguments after the place, what it does.

CREATE FUNCTION @extschema@.ydoc_edit(doc @extschema@.ydoc, operations jsonb)
    RETURNS @extschema@.ydoc
    LANGUAGE c VOLATILE PARALLEL SAFE COST 200
    SUPPORT @extschema@.ydoc_support
    AS 'MODULE_PATHNAME', 'ydoc_edit';
COMMENT ON FUNCTION @extschema@.ydoc_edit(@extschema@.ydoc, jsonb) IS
    'The document after a list of operations, all or none: [{"op": "text_insert", "path": "t", "index": 0, "text": "hi"}, ...]; op is the name of an editing function without ydoc_, the other members are its arguments';

CREATE FUNCTION @extschema@.ydoc_patch(doc @extschema@.ydoc, patch jsonb)
    RETURNS @extschema@.ydoc
    LANGUAGE c VOLATILE PARALLEL SAFE COST 200
    SUPPORT @extschema@.ydoc_support
    AS 'MODULE_PATHNAME', 'ydoc_patch';
COMMENT ON FUNCTION @extschema@.ydoc_patch(@extschema@.ydoc, jsonb) IS
    'The document after a JSON Patch (an array, RFC 6902; paths begin with a root) or a JSON Merge Patch (an object of roots, RFC 7396), all or none';

DO $edit$
DECLARE
    verb record;
    place text;
BEGIN
    FOR verb IN
        SELECT * FROM (VALUES
            ('text_insert', 'index integer, text text, attributes jsonb DEFAULT NULL',
             'Inserts text at an index (UTF-16 units), with attributes such as {"bold": true}, or those in force there'),
            ('text_append', 'text text, attributes jsonb DEFAULT NULL',
             'Inserts text at the end, with attributes, or those in force there'),
            ('text_insert_embed', 'index integer, embed jsonb, attributes jsonb DEFAULT NULL',
             'Inserts an object such as {"image": "a.png"} into a text at an index (UTF-16 units)'),
            ('text_delete', 'index integer, length integer',
             'Deletes length UTF-16 units of a text from an index on; 22023 beyond its end'),
            ('text_format', 'index integer, length integer, attributes jsonb',
             'Gives a range of a text attributes; null ends one: {"bold": null}; 22023 beyond its end'),
            ('text_apply_delta', 'delta jsonb',
             'Applies Quill''s Delta to a text: [{"retain": 5}, {"insert": "x"}, {"delete": 2}]'),
            ('text_replace', 'text text',
             'Makes a text read as the new one, by the smallest edit (Myers 1986), so that cursors and concurrent edits survive; embeds stay'),
            ('array_insert', 'index integer, elements jsonb',
             'Inserts the elements of a JSON array at an index, as plain values'),
            ('array_push', 'elements jsonb',
             'Appends the elements of a JSON array, as plain values'),
            ('array_delete', 'index integer, length integer DEFAULT 1',
             'Deletes length elements of an array from an index on; 22023 beyond its end'),
            ('map_set', 'key text, value jsonb',
             'Sets a map''s key to a plain value'),
            ('map_delete', 'key text',
             'Deletes a map''s key, if it is there'),
            ('map_clear', '',
             'Deletes all keys of a map'),
            ('xml_insert', 'index integer, content jsonb',
             'Inserts a node, or an array of nodes, of ProseMirror''s JSON into an XML fragment or element at an index'),
            ('xml_delete', 'index integer, length integer DEFAULT 1',
             'Deletes length children of an XML fragment or element from an index on; 22023 beyond its end'),
            ('xml_set_attribute', 'key text, value jsonb',
             'Sets an attribute of an XML element'),
            ('xml_remove_attribute', 'key text',
             'Removes an attribute of an XML element, if it is there'),
            ('set', 'value jsonb',
             'Makes what is there equal to the JSON value by a small edit; objects and arrays become shared maps and arrays; an index at the end of an array appends'),
            ('unset', '',
             'Deletes what is there: a key, an element, the content of a root; 22023 if there is nothing'))
            AS v (name, arguments, comment)
    LOOP
        FOREACH place IN ARRAY ARRAY['root text', 'path text[]'] LOOP
            EXECUTE format(
                'CREATE FUNCTION @extschema@.ydoc_%1$s(doc @extschema@.ydoc, %2$s)'
                ' RETURNS @extschema@.ydoc LANGUAGE c VOLATILE PARALLEL SAFE COST 200'
                ' SUPPORT @extschema@.ydoc_support AS ''MODULE_PATHNAME'', ''ydoc_%1$s''',
                verb.name, concat_ws(', ', place, nullif(verb.arguments, '')));
            EXECUTE format(
                'COMMENT ON FUNCTION @extschema@.ydoc_%1$s(@extschema@.ydoc, %2$s) IS %3$L',
                verb.name,
                concat_ws(', ', place, nullif(replace(replace(verb.arguments, ' DEFAULT NULL', ''), ' DEFAULT 1', ''), '')),
                verb.comment || '; returns the document');
        END LOOP;
    END LOOP;
END
$edit$;

-- ---- documents made of something else ----

CREATE FUNCTION @extschema@.ydoc_from_text(text text, root text)
    RETURNS @extschema@.ydoc
    LANGUAGE c VOLATILE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_from_text';
COMMENT ON FUNCTION @extschema@.ydoc_from_text(text, text) IS
    'A new document whose root of that name is a text';

CREATE FUNCTION @extschema@.ydoc_from_delta(delta jsonb, root text)
    RETURNS @extschema@.ydoc
    LANGUAGE c VOLATILE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_from_delta';
COMMENT ON FUNCTION @extschema@.ydoc_from_delta(jsonb, text) IS
    'A new document whose root of that name is the rich text of a Delta (Quill)';

CREATE FUNCTION @extschema@.ydoc_from_json("json" jsonb)
    RETURNS @extschema@.ydoc
    LANGUAGE c VOLATILE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_from_json';
COMMENT ON FUNCTION @extschema@.ydoc_from_json(jsonb) IS
    'A new document with a root for each member of an object: objects become shared maps, arrays shared arrays, strings texts (as roots) or plain strings; an empty root leaves no trace, as in Yjs';

CREATE FUNCTION @extschema@.ydoc_from_json("json" jsonb, root text)
    RETURNS @extschema@.ydoc
    LANGUAGE c VOLATILE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_from_json';
COMMENT ON FUNCTION @extschema@.ydoc_from_json(jsonb, text) IS
    'A new document whose root of that name is an object, array or string';

CREATE FUNCTION @extschema@.ydoc_from_prosemirror("json" jsonb, root text)
    RETURNS @extschema@.ydoc
    LANGUAGE c VOLATILE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_from_prosemirror';
COMMENT ON FUNCTION @extschema@.ydoc_from_prosemirror(jsonb, text) IS
    'A new document whose root of that name is a ProseMirror or Tiptap document, as y-prosemirror keeps it: {"type": "doc", "content": [...]}';

CREATE FUNCTION @extschema@.ydoc_from_markdown(markdown text, root text, schema text DEFAULT 'tiptap')
    RETURNS @extschema@.ydoc
    LANGUAGE c VOLATILE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_from_markdown';
COMMENT ON FUNCTION @extschema@.ydoc_from_markdown(text, text, text) IS
    'A new document whose root of that name is what Markdown says, for an editor with the nodes of Tiptap (tables, task lists and strikethrough too) or of prosemirror-markdown (schema prosemirror)';

CREATE FUNCTION @extschema@.ydoc_markdown_to_prosemirror(markdown text, schema text DEFAULT 'tiptap')
    RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_markdown_to_prosemirror';
COMMENT ON FUNCTION @extschema@.ydoc_markdown_to_prosemirror(text, text) IS
    'What Markdown says as ProseMirror''s JSON, for an editor with the nodes of Tiptap or of prosemirror-markdown (schema prosemirror)';

CREATE FUNCTION @extschema@.ydoc_prosemirror(doc @extschema@.ydoc, root text)
    RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_prosemirror';
COMMENT ON FUNCTION @extschema@.ydoc_prosemirror(@extschema@.ydoc, text) IS
    'An XML root as ProseMirror''s JSON; NULL if there is no such root; 22023 if it is no XML';

CREATE FUNCTION @extschema@.ydoc_prosemirror(doc @extschema@.ydoc, path text[])
    RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_prosemirror';
COMMENT ON FUNCTION @extschema@.ydoc_prosemirror(@extschema@.ydoc, text[]) IS
    'The XML fragment at a path as ProseMirror''s JSON; NULL if no shared type is there; 22023 if it is no XML fragment';
