"""The guide's sample: machines as network namespaces with its literal addresses."""
