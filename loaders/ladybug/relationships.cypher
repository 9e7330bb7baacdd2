// The relationship tables beside the assertions'.
CREATE REL TABLE HAS_PRODUCT (FROM CoBuy TO Product);
CREATE REL TABLE HAS_CONCEPT (FROM Intention TO Concept, rep DOUBLE, surface STRING, rank INT64);
CREATE REL TABLE BROADER (FROM Concept TO Concept, count INT64, p DOUBLE);
CREATE REL TABLE HAS_ANCESTOR (FROM Concept TO Concept, distance INT64);
CREATE REL TABLE HAS_KIND (FROM Product TO Concept);
CREATE REL TABLE OF_KIND (FROM Abstraction TO Concept);
CREATE REL TABLE OF_CONCEPT (FROM Abstraction TO Concept);
