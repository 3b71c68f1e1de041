-- What the example `transfer` reads and writes: mariadb --user=… DATABASE < schema.sql
CREATE TABLE account (
    id      BIGINT PRIMARY KEY,
    owner   VARCHAR(40) NOT NULL,
    balance BIGINT NOT NULL CHECK (balance >= 0)
);
INSERT INTO account (id, owner, balance) VALUES (1, 'Ada', 100), (2, 'Grace', 20);
