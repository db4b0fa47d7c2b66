"""The TFLite format: graphs lowered to channels-last operators and written as a flatbuffer."""
