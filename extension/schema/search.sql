
-- ---- full-text search ----

CREATE FUNCTION @extschema@.ydoc_search_text(doc @extschema@.ydoc)
    RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 200
    AS 'MODULE_PATHNAME', 'ydoc_search_text';
COMMENT ON FUNCTION @extschema@.ydoc_search_text(@extschema@.ydoc) IS
    'All words of a document: texts, texts inside XML, strings in maps and arrays; the first 400,000 bytes of them';

CREATE FUNCTION @extschema@.ydoc_tsvector(config regconfig, doc @extschema@.ydoc)
    RETURNS tsvector
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 500
    AS 'MODULE_PATHNAME', 'ydoc_tsvector';
COMMENT ON FUNCTION @extschema@.ydoc_tsvector(regconfig, @extschema@.ydoc) IS
    'A document''s words for full-text search, for generated columns and GIN indexes; what a tsvector has no room for is left out';
