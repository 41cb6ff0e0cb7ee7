-- What every measurement finds: the extension, a store, and a place for figures.
CREATE EXTENSION pg_ydoc;
SELECT ydoc.create_store() \g /dev/null
CREATE TABLE figure (
    ordinal integer GENERATED ALWAYS AS IDENTITY,
    what text NOT NULL, measured float8 NOT NULL, unit text NOT NULL, at_most float8, at_least float8);

-- A figure, with its target if it has one.
CREATE FUNCTION note(what text, measured float8, unit text, at_most float8 DEFAULT NULL, at_least float8 DEFAULT NULL)
RETURNS void LANGUAGE sql AS $$ INSERT INTO figure (what, measured, unit, at_most, at_least) VALUES ($1, $2, $3, $4, $5) $$;

CREATE FUNCTION median(float8[]) RETURNS float8 LANGUAGE sql IMMUTABLE AS
$$ SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY v) FROM unnest($1) v $$;

CREATE VIEW report AS
SELECT what,
       CASE WHEN at_most IS NOT NULL THEN 'at most ' || at_most || ' ' || unit
            WHEN at_least IS NOT NULL THEN 'at least ' || at_least || ' ' || unit ELSE '' END AS target,
       CASE WHEN measured < 100 THEN round(measured::numeric, 2) ELSE round(measured::numeric) END || ' ' || unit AS measured,
       CASE WHEN measured <= at_most OR measured >= at_least THEN 'met'
            WHEN at_most IS NULL AND at_least IS NULL THEN '' ELSE 'missed' END AS met
FROM figure ORDER BY ordinal;

-- Updates: client 1 types a character behind those before.
CREATE FUNCTION varuint(n integer) RETURNS bytea LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN n < 128 THEN set_byte('\x00', 0, n) ELSE set_byte('\x00', 0, 128 + n % 128) || varuint(n / 128) END $$;
CREATE FUNCTION typed(before integer) RETURNS bytea LANGUAGE sql IMMUTABLE AS
$$ SELECT '\x010101'::bytea || varuint(before) || CASE before WHEN 0 THEN '\x04010174' ELSE '\x8401'::bytea || varuint(before - 1) END || '\x017800' $$;
