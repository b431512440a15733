"""What `dnas.find` is made of: data of each form as supplies of a search and of a training, and the request."""
