-- Yjs's relative positions: a place that stays where it is while others edit.
\set before '''\\x01050100040101740b48656c6c6f20776f726c6446010004626f6c640474727565c60104010504626f6c64046e756c6cc40104010c012185010a117b22696d616765223a22612e706e67227d0101010506''::bytea'
\set later '''\\x0201090044010b044f682120060100040101740548656c6c6f8101040646010004626f6c640474727565c60104010504626f6c64046e756c6cc40104010c012185010a117b22696d616765223a22612e706e67227d0101010506''::bytea'
\set page '''\\x01060200070101780301702800020005636c617373017701610700020006040002020268694602030162027b7d8602040162046e756c6c00''::bytea'

SELECT ydoc_position(ydoc(:before), 't', 3, -1) = '\x00010241' AS as_yjs_encodes,
       ydoc_position_json('\x00010241') AS json, ydoc_position_json('\x01017400') AS of_the_end;
-- four characters came in front
SELECT * FROM ydoc_position_resolve(ydoc(:before), '\x00010241');
SELECT * FROM ydoc_position_resolve(ydoc(:later), '\x00010241');
-- an index comes back, on whichever side it sticks
SELECT index, assoc, (ydoc_position_resolve(doc, ydoc_position(doc, 't', index, assoc))).index AS again
FROM (SELECT ydoc(:before) AS doc) AS one, generate_series(0, 7) AS index, (VALUES (0), (-1)) AS sides (assoc)
WHERE (ydoc_position_resolve(doc, ydoc_position(doc, 't', index, assoc))).index <> index;
-- inside a nested type; in a document that knows nothing of it
SELECT * FROM ydoc_position_resolve(ydoc(:page), '\x00020300');
SELECT ydoc_position_resolve(ydoc(), '\x00020300') IS NULL AS unknown;

SELECT ydoc_position(ydoc(:before), 't', 8);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc_position(ydoc(:before), 'other', 0);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc_position_resolve(ydoc(:before), '\x0001');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc_position_resolve(ydoc(:before), '\x07');
\echo :LAST_ERROR_SQLSTATE
