//! Setters for configurations: `with_x(value)` sets field `x`.

/// One setter a line: `/// Doc. with_x => x: Type,` where `Type: Into<field's type>`.
macro_rules! setters {
    ($name:ident { $($(#[$doc:meta])* $with:ident => $field:ident: $type:ty,)* }) => {
        impl $name {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $with(mut self, $field: $type) -> Self {
                    self.$field = $field.into();
                    self
                }
            )*
        }
    };
}
pub(crate) use setters;
