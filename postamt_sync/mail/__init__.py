"""What a mail is. Pure: no I/O, nothing imported but the standard library; the Lambda ships it too."""
