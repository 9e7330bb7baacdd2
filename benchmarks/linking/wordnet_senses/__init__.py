"""Labels of senses of WordNet 3.1: a lexicon of what shoppers mean, mentions, paraphrases and kinds of products."""
