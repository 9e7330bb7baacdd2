// Products: the parameters are columns of the same length.
UNWIND range(0, size($id) - 1) AS i
MERGE (n:Product {id: $id[i]})
SET n.title = $title[i], n.brand = $brand[i], n.category = $category[i], n.image = $image[i], n.mindkg_load = $load
RETURN count(*) AS n;
