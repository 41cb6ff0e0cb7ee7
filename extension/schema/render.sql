
-- ---- for people: HTML and Markdown ----

CREATE FUNCTION @extschema@.ydoc_html(doc @extschema@.ydoc, root text)
    RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_html';
COMMENT ON FUNCTION @extschema@.ydoc_html(@extschema@.ydoc, text) IS
    'A root that Quill or ProseMirror (Tiptap) edits as HTML that is safe in a page: all text escaped, only known elements, attributes and URL schemes; NULL if there is no such root; 22023 for arrays and maps';

CREATE FUNCTION @extschema@.ydoc_html(doc @extschema@.ydoc, path text[])
    RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_html';
COMMENT ON FUNCTION @extschema@.ydoc_html(@extschema@.ydoc, text[]) IS
    'The rich text at a path as HTML that is safe in a page; NULL if no shared type is there; 22023 for arrays and maps';

CREATE FUNCTION @extschema@.ydoc_markdown(doc @extschema@.ydoc, root text)
    RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_markdown';
COMMENT ON FUNCTION @extschema@.ydoc_markdown(@extschema@.ydoc, text) IS
    'A root that Quill or ProseMirror (Tiptap) edits as Markdown, CommonMark with GitHub''s tables, task lists and strikethrough, without HTML; NULL if there is no such root; 22023 for arrays and maps';

CREATE FUNCTION @extschema@.ydoc_markdown(doc @extschema@.ydoc, path text[])
    RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_markdown';
COMMENT ON FUNCTION @extschema@.ydoc_markdown(@extschema@.ydoc, text[]) IS
    'The rich text at a path as Markdown; NULL if no shared type is there; 22023 for arrays and maps';
