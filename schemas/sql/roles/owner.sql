-- The owner makes and changes the tables: `touchline migrate`. Everything in this database, nothing
-- outside of it, and no right to grant: who may give roles is not who may change tables. Servers ask
-- for a grant of table engines; those that reach outside (File, URL, …) want one of the source, too.
--
-- The files of this folder are run by `touchline migrate --roles`, as a user who may manage access;
-- every statement can be run again and says all of what it is about, so that what a file no longer
-- grants is taken away. Roles carry the database's name: several databases can share a server. Users
-- are the operator's: CREATE USER … DEFAULT ROLE …, see docs/warehouse.md.
-- Placeholders (pipeline/warehouse/roles.py), besides those of the migrations:
--   ${role:NAME}              the role, the database's name before it
--   ${grant:PRIVILEGES:TABLE} PRIVILEGES ON the table; on a cluster also on TABLE_local behind it
--   ${setting:NAME}           the value of a setting, a number
-- On a cluster the files have an ON CLUSTER like the tables. Where the servers share their access
-- entities (user_directories: replicated), `ignore_on_cluster_for_replicated_access_entities_queries`
-- has to be set on them.

CREATE ROLE IF NOT EXISTS ${role:owner} ${on_cluster};

GRANT ${on_cluster}
    ALL ON ${database}.*,
    TABLE ENGINE ON *
TO ${role:owner}
WITH REPLACE OPTION;

-- if: cluster
GRANT ${on_cluster}
    CLUSTER ON *.*,
    REMOTE ON *.*
TO ${role:owner};
