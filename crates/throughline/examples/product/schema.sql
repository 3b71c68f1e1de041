-- What the example `product` reads and writes: mariadb --user=… DATABASE < schema.sql
CREATE TABLE product (
    id          BIGINT PRIMARY KEY,
    name        VARCHAR(100) NOT NULL,
    price_cents BIGINT NOT NULL,
    stock       BIGINT NOT NULL CHECK (stock >= 0)
);
INSERT INTO product (id, name, price_cents, stock) VALUES
    (1, 'Lamp', 3950, 12), (2, 'Desk', 24900, 3), (3, 'Chair', 11990, 0);
