"""`kedro ilf-card`: a finetuned model, or the data, with a card in the Hugging Face hub's format."""
