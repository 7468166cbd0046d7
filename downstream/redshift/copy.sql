-- The only statements that read S3. Replace IAM_ROLE DEFAULT when the cluster has no default role.
-- MANIFEST entries are mandatory, so an object that is gone fails the call instead of being passed over;
-- MAXERROR stays 0 and nothing is truncated: a value that does not fit fails the call and names itself
-- in SYS_LOAD_ERROR_DETAIL.

CREATE OR REPLACE PROCEDURE copy_avro(p_table IN VARCHAR(128), p_manifest IN VARCHAR(1024)) AS $$
BEGIN
    EXECUTE 'COPY ' || quote_ident(p_table) || ' FROM ' || quote_literal(p_manifest)
        || ' IAM_ROLE DEFAULT MANIFEST FORMAT AS AVRO ''auto'' TIMEFORMAT ''epochmillisecs'' STATUPDATE OFF COMPUPDATE OFF';
END;
$$ LANGUAGE plpgsql;

CREATE OR REPLACE PROCEDURE copy_csv(p_table IN VARCHAR(128), p_url IN VARCHAR(1024)) AS $$
BEGIN
    EXECUTE 'COPY ' || quote_ident(p_table) || ' FROM ' || quote_literal(p_url)
        || ' IAM_ROLE DEFAULT FORMAT AS CSV IGNOREHEADER 1 TIMEFORMAT ''auto'' STATUPDATE OFF COMPUPDATE OFF';
END;
$$ LANGUAGE plpgsql;
